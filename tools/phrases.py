"""Invented questions and answers in several languages, to train the compression dictionary.

No text comes from a real conversation.
"""
# ruff: noqa: E501 - text is easier to read on one line and in its own script

PHRASES = {
    "en": """What does the party say about climate change and energy prices?
Who decides on schools and day care in my municipality?
I would like to know more about health care, because I have waited for an appointment for months.
Can you explain the difference between the municipal election and the parliamentary election?
How much would the tax reform cost a family with two children?
I am worried about my job, and I do not know what I should do next.
Which candidates want to lower the taxes, and which of them would raise them?
Thank you, that was helpful. Could you tell me a little more about the second point?
Of course! Here is a short overview of the most important positions:
The candidates have different opinions on this question. Some of them support the proposal, while others are against it.
According to their own answers, they would invest more money in public transport, housing and education.
It is important to note that this is only a summary. Please check the original source for more information.
I am sorry to hear that. If you feel unsafe, please contact the emergency services or someone you trust.
I do not know the answer to that question, but I can help you find out where to ask.
In general, the council decides on the budget, and the government is responsible for the law.
For example, you could compare how two candidates answered the same statement.
There are several reasons for this. First, the costs have increased. Second, there are not enough people who work in this field.
1. Read the question carefully.
2. Think about what is important to you.
3. Compare the answers of the candidates with your own.
- **Economy**: growth, employment, taxes and social security
- **Environment**: climate, nature, energy and traffic
- **Immigration**: work permits, asylum, integration and citizenship
However, it depends on the situation, and you should talk to a doctor or a lawyer before you make a decision.
You can change your answers at any time, and nobody else will see what you have written here.
Would you like me to explain it in simpler words? Let me know if you have any other questions.""",
    "fi": """Mitä mieltä puolue on ilmastonmuutoksesta ja energian hinnasta?
Kuka päättää kouluista ja päiväkodeista minun kunnassani?
Haluaisin tietää lisää terveydenhuollosta, koska olen odottanut lääkärin aikaa kuukausia.
Voitko selittää, mitä eroa on kuntavaaleilla ja eduskuntavaaleilla?
Kuinka paljon verouudistus maksaisi perheelle, jossa on kaksi lasta?
Olen huolissani työpaikastani, enkä tiedä, mitä minun pitäisi tehdä seuraavaksi.
Kiitos, tästä oli apua. Voisitko kertoa vähän enemmän toisesta kohdasta?
Totta kai! Tässä on lyhyt yhteenveto tärkeimmistä kannoista:
Ehdokkailla on tästä kysymyksestä erilaisia mielipiteitä. Osa heistä kannattaa ehdotusta, kun taas toiset vastustavat sitä.
Omien vastaustensa mukaan he käyttäisivät enemmän rahaa joukkoliikenteeseen, asumiseen ja koulutukseen.
En tiedä vastausta tähän kysymykseen, mutta voin auttaa sinua selvittämään, mistä voit kysyä.
On tärkeää huomata, että tämä on vain tiivistelmä. Tarkista lisätiedot alkuperäisestä lähteestä.
Esimerkiksi voit verrata, miten kaksi ehdokasta vastasi samaan väittämään.
Voit muuttaa vastauksiasi milloin tahansa, eikä kukaan muu näe, mitä olet kirjoittanut tänne.
Haluatko, että selitän asian yksinkertaisemmin? Kerro, jos sinulla on muita kysymyksiä.""",
    "sv": """Vad tycker partiet om klimatförändringen och energipriserna?
Vem bestämmer om skolor och daghem i min kommun?
Jag skulle vilja veta mer om hälsovården, eftersom jag har väntat på en läkartid i flera månader.
Kan du förklara skillnaden mellan kommunalvalet och riksdagsvalet?
Hur mycket skulle skattereformen kosta en familj med två barn?
Jag är orolig för mitt jobb, och jag vet inte vad jag ska göra nu.
Tack, det var till hjälp. Kan du berätta lite mer om den andra punkten?
Självklart! Här är en kort översikt över de viktigaste ståndpunkterna:
Kandidaterna har olika åsikter i den här frågan. En del av dem stöder förslaget, medan andra är emot det.
Enligt sina egna svar skulle de satsa mer pengar på kollektivtrafik, boende och utbildning.
Jag vet inte svaret på den frågan, men jag kan hjälpa dig att ta reda på var du kan fråga.
Det är viktigt att komma ihåg att detta bara är en sammanfattning.
Du kan ändra dina svar när som helst, och ingen annan ser vad du har skrivit här.
Vill du att jag förklarar det med enklare ord? Säg till om du har andra frågor.""",
    "de": """Was sagt die Partei zum Klimawandel und zu den Energiepreisen?
Wer entscheidet über Schulen und Kindertagesstätten in meiner Gemeinde?
Ich möchte mehr über die Gesundheitsversorgung wissen, weil ich seit Monaten auf einen Termin warte.
Können Sie mir den Unterschied zwischen der Kommunalwahl und der Bundestagswahl erklären?
Ich mache mir Sorgen um meine Arbeit und weiß nicht, was ich als Nächstes tun soll.
Natürlich! Hier ist ein kurzer Überblick über die wichtigsten Positionen:
Die Kandidatinnen und Kandidaten sind in dieser Frage unterschiedlicher Meinung. Einige unterstützen den Vorschlag, andere lehnen ihn ab.
Nach eigenen Angaben würden sie mehr Geld für den Nahverkehr, das Wohnen und die Bildung ausgeben.
Es ist wichtig zu beachten, dass dies nur eine Zusammenfassung ist.
Das weiß ich leider nicht, aber ich kann Ihnen helfen herauszufinden, wo Sie fragen können.
Sie können Ihre Antworten jederzeit ändern, und niemand sonst sieht, was Sie hier geschrieben haben.""",
    "fr": """Que dit le parti sur le changement climatique et le prix de l'énergie ?
Qui décide des écoles et des crèches dans ma commune ?
Je voudrais en savoir plus sur les soins de santé, parce que j'attends un rendez-vous depuis des mois.
Je suis inquiet pour mon travail et je ne sais pas ce que je dois faire maintenant.
Bien sûr ! Voici un bref aperçu des positions les plus importantes :
Les candidats ont des opinions différentes sur cette question. Certains soutiennent la proposition, tandis que d'autres s'y opposent.
Il est important de noter qu'il ne s'agit que d'un résumé.
Vous pouvez modifier vos réponses à tout moment, et personne d'autre ne verra ce que vous avez écrit ici.""",
    "es": """¿Qué dice el partido sobre el cambio climático y los precios de la energía?
¿Quién decide sobre las escuelas y las guarderías en mi municipio?
Me gustaría saber más sobre la atención sanitaria, porque llevo meses esperando una cita.
Estoy preocupado por mi trabajo y no sé qué debo hacer ahora.
¡Por supuesto! Aquí tienes un breve resumen de las posiciones más importantes:
Los candidatos tienen opiniones diferentes sobre esta cuestión. Algunos apoyan la propuesta, mientras que otros están en contra.
Es importante tener en cuenta que esto es solo un resumen.
Puedes cambiar tus respuestas en cualquier momento, y nadie más verá lo que has escrito aquí.""",
    "ar": """ماذا يقول الحزب عن تغير المناخ وأسعار الطاقة؟
من يقرر بشأن المدارس ورياض الأطفال في بلديتي؟
أود أن أعرف المزيد عن الرعاية الصحية لأنني أنتظر موعدًا منذ أشهر.
بالطبع! فيما يلي نظرة عامة موجزة على أهم المواقف:
للمرشحين آراء مختلفة حول هذه المسألة. بعضهم يؤيد الاقتراح، بينما يعارضه آخرون.
يمكنك تغيير إجاباتك في أي وقت، ولن يرى أي شخص آخر ما كتبته هنا.""",
}
